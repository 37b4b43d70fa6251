"""Objects from scribbles on them and beside them, for any image, by intensities and a minimum cut."""
