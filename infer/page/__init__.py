"""A network as one HTML file that enlarges or restores pictures, in a browser and without a net."""
