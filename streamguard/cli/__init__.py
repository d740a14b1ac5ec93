"""The program `streamguard`: one small module a command, which parses, calls the package and prints."""
