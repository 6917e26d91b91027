"""Workflows: train, evaluate, audit, predict. Each returns a result record."""
