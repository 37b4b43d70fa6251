"""Photographs of monitors that show a radiograph: a simulator, and the training of what finds the screen in them."""
