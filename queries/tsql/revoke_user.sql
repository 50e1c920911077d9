-- Rights: ALTER ANY USER. Takes a user out of a database, with all that it was given there.
DROP USER IF EXISTS $user
