"""How the network was trained that tells lateral thoracic radiographs of dogs from other pictures."""
