"""The commands of the first steps: new, init, schema, completion."""
