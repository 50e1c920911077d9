-- Rights: CONTROL on the object. Takes back what a user was given or denied on one table or view.
REVOKE $permissions ON OBJECT::$object FROM $user
