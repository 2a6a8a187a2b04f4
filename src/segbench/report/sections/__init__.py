"""What is compared with what: cells as entries of sections, with their scores and costs."""
