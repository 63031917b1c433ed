"""The local calls of AWS IoT Greengrass V1, written anew."""
