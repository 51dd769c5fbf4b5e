/** What a rotation replaces. */
export const credentialClasses = ['api-keys', 'preauth', 'shared-keys', 'provider'] as const;
export type CredentialClass = (typeof credentialClasses)[number];
