"""Synthetic lateral thoracic radiographs of dogs, and the landmark networks trained on them (`make train-vhs`)."""
