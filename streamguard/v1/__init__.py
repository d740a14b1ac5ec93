"""Generated protobuf classes of the package streamguard.v1. Do not edit: `make proto` writes them from proto/."""
