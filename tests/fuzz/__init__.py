"""Damaged files by the thousand: readers must give results or sentences, whatever comes."""
