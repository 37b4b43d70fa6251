"""The MONAI Label protocol, with the interactive segmentation of OHIF-AI: HTTP in, HTTP out."""
