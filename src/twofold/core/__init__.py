"""What every other package stands on: options, errors, notes, progress, files, timing."""
