// Lints the code of the page of results. Types are those of JSDoc, as tsconfig.json has them.
import js from "@eslint/js";
import { defineConfig } from "eslint/config";
import ts from "typescript-eslint";

export default defineConfig({
  files: ["batchrun/report/page/*.js"],
  extends: [js.configs.recommended, ts.configs.strictTypeChecked],
  languageOptions: { parserOptions: { project: "./tsconfig.json", tsconfigRootDir: import.meta.dirname } },
  linterOptions: { reportUnusedDisableDirectives: "error" },
  rules: {
    "@typescript-eslint/no-dynamic-delete": "off", // objects of few names, which come from outside
    "no-control-regex": "off", // text.js is about them
    "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    "no-undef": "off", // TypeScript says it
  },
});
