"""Hyper-parameter search with Optuna. `search` is the entry point."""
