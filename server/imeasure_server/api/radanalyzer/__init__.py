"""The RadAnalyzer V3 API, ``/v3/*``."""
