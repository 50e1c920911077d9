-- Rights: MANAGE on the securable, or its ownership. Takes one privilege back, for somebody to run who may.
REVOKE $privilege ON $kind $name FROM $principal
