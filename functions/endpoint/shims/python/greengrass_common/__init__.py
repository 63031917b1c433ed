"""What greengrasssdk expects of a core of AWS IoT Greengrass V1, written anew."""
