"""One file for each sub-score of PDMS and EPDMS. They share signals and geometry, and know nothing of each other."""
