package desk

// TokenContext is the context under which a workspace's bot token is sealed, so that it can't be put to another workspace's use.
func TokenContext(slackTeamID string) string { return "slack token " + slackTeamID }
