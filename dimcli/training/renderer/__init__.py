"""What trains a renderer of one person."""
