"""Trying settings of a recipe with Optuna. `trials` is the way in."""
