//! The tables of outreach: who may be contacted, what is done with whom, and how much a channel has had today.

use potok_wasm::Migration;

pub(crate) const MIGRATION: Migration = Migration {
    owner: "telegram-outreach",
    version: 1,
    sql: "
        CREATE TABLE telegram_people (
            person TEXT PRIMARY KEY NOT NULL,
            telegram_id BIGINT,
            name TEXT,
            basis TEXT,
            source TEXT,
            opted_out_at BIGINT,
            opt_out_reason TEXT,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        CREATE INDEX telegram_people_by_id ON telegram_people (telegram_id);
        CREATE TABLE telegram_campaigns (
            id BIGINT PRIMARY KEY NOT NULL,
            channel TEXT NOT NULL,
            mode TEXT NOT NULL,
            message TEXT,
            link_message TEXT,
            basis TEXT NOT NULL,
            accounts TEXT NOT NULL,
            channel_limit BIGINT NOT NULL,
            pause_ms BIGINT NOT NULL,
            state TEXT NOT NULL,
            reason TEXT,
            next_at BIGINT NOT NULL,
            run TEXT,
            started_by TEXT NOT NULL UNIQUE,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        CREATE INDEX telegram_campaigns_by_channel ON telegram_campaigns (channel);
        CREATE TABLE telegram_campaign_ids (last BIGINT NOT NULL);
        INSERT INTO telegram_campaign_ids (last) VALUES (0);
        CREATE TABLE telegram_invites (
            campaign BIGINT NOT NULL,
            line BIGINT NOT NULL,
            person TEXT NOT NULL,
            name TEXT,
            status TEXT NOT NULL,
            reason TEXT,
            account BIGINT,
            retry_count BIGINT NOT NULL,
            last_retry BIGINT,
            taken_by TEXT,
            link TEXT,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            PRIMARY KEY (campaign, line)
        );
        CREATE INDEX telegram_invites_by_status ON telegram_invites (campaign, status, line);
        CREATE INDEX telegram_invites_by_call ON telegram_invites (taken_by);
        CREATE INDEX telegram_invites_by_person ON telegram_invites (person);
        CREATE INDEX telegram_invites_by_time ON telegram_invites (updated_at);
        CREATE TABLE telegram_channel_days (
            channel TEXT PRIMARY KEY NOT NULL,
            began_at BIGINT NOT NULL,
            used BIGINT NOT NULL
        );
    ",
};
