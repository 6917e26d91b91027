"""Labelled datasets: the images with their labels, groups of duplicates, folds and splits."""

from twofold.dataset.columns import group_column, label_column
from twofold.dataset.folds import duplicate_groups, folds, split

__all__ = ["duplicate_groups", "folds", "group_column", "label_column", "split"]
