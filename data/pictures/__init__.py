"""One picture file to one array and back."""
