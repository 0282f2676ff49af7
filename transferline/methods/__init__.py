"""Transfer methods, one per file, grouped by what they transfer: parameters, features, instances, or labels of other tasks."""
