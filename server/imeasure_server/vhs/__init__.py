"""Vertebral heart score from a lateral thoracic radiograph of a dog: landmarks, score, confidence, picture of picture."""
