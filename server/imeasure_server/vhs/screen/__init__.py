"""Picture of picture: the screen in a photograph, and the flat picture that it shows."""
