# The commands of "Securing Salesforce Integrations with Heroku AppLink", with `applink` in place of `heroku` and `sf`,
# against the sandbox of a local stack.
set -eu
as() { printf '%s %s' "$1" "$2" > who; }

# A web site and an ingest API, as a stored user.
as sandbox integration
applink salesforce:authorizations:add campaigns -l https://test.salesforce.com
applink authorizations:info campaigns --json
# The curl of the text, with the variables an app has.
applink run -- sh -c 'curl -s -H "Accept: application/json" -H "Authorization: Bearer $HEROKU_APPLINK_TOKEN" \
  -H "X-App-UUID: $HEROKU_APP_ID" "$HEROKU_APPLINK_API_URL/authorizations/campaigns"' | grep -o '"status": *"[a-z]*"'

# A call-out that the org makes, as the calling user.
as sandbox admin
applink salesforce:connect my-org -l https://test.salesforce.com
applink salesforce:publish "$SPEC" --metadata-dir "$METADATA" --client-name ProvisioningService --connection-name my-org
applink org permsets assign ProvisioningService -b "$SALES" --org-url "$APPLINK_SANDBOX_URL"
applink org permsets assign ProvisioningServicePermissions -b "$SALES" --org-url "$APPLINK_SANDBOX_URL"
opportunity=$(applink org records Opportunity --as "$SALES" --org-url "$APPLINK_SANDBOX_URL" --limit 1 --json |
  grep -o '"Id": *"[^"]*"' | head -1 | cut -d'"' -f4)
applink invoke ProvisioningService.provisionServices --as "$SALES" --org-url "$APPLINK_SANDBOX_URL" \
  --body "{\"opportunityIds\": [\"$opportunity\"]}" --wait-callbacks 2
applink org callbacks --org-url "$APPLINK_SANDBOX_URL"
