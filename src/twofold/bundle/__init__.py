"""The model, and the folder that holds it."""
