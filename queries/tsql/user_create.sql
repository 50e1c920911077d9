-- Rights: ALTER ANY USER, as a Microsoft Entra principal. The identity of a Stream Analytics job or another service, by its name.
IF DATABASE_PRINCIPAL_ID($identity_text) IS NULL
CREATE USER $identity FROM EXTERNAL PROVIDER
