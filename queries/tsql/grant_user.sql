-- Rights: ALTER ANY USER, as an identity of Microsoft Entra ID. Makes a user for an application or managed identity, named as it is named there.
CREATE USER $user FROM EXTERNAL PROVIDER
