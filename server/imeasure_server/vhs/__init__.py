"""Vertebral heart score from a lateral thoracic radiograph of a dog, or from a photograph of one on a screen."""
