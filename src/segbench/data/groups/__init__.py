"""Groups of cases that belong together: the patients, slides, plates or videos they come from."""
