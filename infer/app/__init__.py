"""Pages to enlarge, restore and compare pictures in a browser, made by Gradio."""
