"""What a model folder says of its model: AIAA's ``config_aiaa.json`` of Clara Train 4.x, and MONAI bundles.

Nothing here imports torch or MONAI: a config is read and judged where HTTP is answered, and carried out in a worker.
"""
