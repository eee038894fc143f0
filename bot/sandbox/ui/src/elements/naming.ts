/** How an element is named to people who do not see it: by a label of the page, or in words. */
export type Naming = { id: string; name?: string; labelledBy?: string; describedBy?: string; required?: boolean; invalid?: boolean };

export const attributes = (naming: Naming) => ({
  id: naming.id,
  "aria-label": naming.labelledBy ? undefined : naming.name,
  "aria-describedby": naming.describedBy,
  "aria-required": naming.required || undefined,
  "aria-invalid": naming.invalid || undefined,
});
