"""A study with people: opinion scores of pictures, from the plan to the report.

`make` plans a study and copies its pictures, `serve` shows them on the local network, `report`
writes tables and plots. All that is known of a study lies in one folder, which can be moved.
"""
