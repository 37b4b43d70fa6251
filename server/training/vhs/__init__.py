"""Synthetic lateral thoracic radiographs of dogs, and the training of the landmark networks on them (`make train-vhs`)."""
