"""Other dates to watch, above all that of the MDM server's push certificate."""
