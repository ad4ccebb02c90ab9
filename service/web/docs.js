// The documentation of the server that sent this page; its paths are relative, so that a prefix does no harm.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#documentation", deepLinking: true, validatorUrl: null });
