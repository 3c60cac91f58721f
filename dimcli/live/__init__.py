"""A face that listens, and speaks with an agent's voice, while the conversation goes on."""
