"""How the promptable network's weights were made: ``make train-segmentation``."""
