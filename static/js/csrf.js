// Signing in, in whatever tab, changes the CSRF token. Every form sends the one that counts now, not that of its page.

export const csrfToken = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];

document.addEventListener(
  "submit",
  (event) => {
    const field = event.target.querySelector("[name=csrfmiddlewaretoken]");
    if (field && csrfToken()) field.value = csrfToken();
  },
  true,
);

document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb === "post" && csrfToken()) event.detail.parameters.csrfmiddlewaretoken = csrfToken();
});
