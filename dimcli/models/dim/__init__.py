"""The paper's model: codes of motion, the dyadic model, its losses, and how it is sampled."""
