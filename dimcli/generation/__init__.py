"""From a trained model to motion; nothing here ever sees the truth."""
