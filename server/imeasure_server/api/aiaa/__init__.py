"""AIAA: NVIDIA's AI-assisted annotation protocol."""
