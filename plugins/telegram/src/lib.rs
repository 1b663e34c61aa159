//! `telegram.post` and its like: the capability as functions that a workflow can call.
//!
//! There is nothing to decide here. That nothing is posted twice, and what becomes of bots, channels and accounts, and whom nobody contacts, is the promise of the
//! capabilities' provider.

#![cfg(target_family = "wasm")]

use exports::potok::telegram::telegram::Guest;
use potok::host::fault::Fault;
use potok::telegram::accounts::{
    self, AccountNamed, AccountsPage, AccountsRequest, AddAccountRequest, AddProxyRequest, EnterPasswordRequest,
    KeptAccount, KeptProxy, Member, MembersRequest, ProxiesPage, ProxiesRequest, SignInRequest, SignInState,
    UpdateAccountRequest, UpdateProxyRequest,
};
use potok::telegram::bot::{
    self, PostRequest, Posted, PostsPage, PostsRequest, SettleRequest, UnknownPost, Verified, VerifyRequest,
};
use potok::telegram::outreach::{
    self, AddPeopleRequest, CampaignNamed, CampaignStep, CampaignsRequest, HistoryRequest, HistoryStep, InvitesPage,
    InvitesRequest, KeptCampaign, KeptPerson, OptOutRequest, PeopleAdded, PeoplePage, PeopleRequest,
    StartCampaignRequest, Statistics,
};
use potok::telegram::registry::{
    self, AddBotRequest, AddChannelRequest, AddedBot, AddedChannel, ChannelsRequest, KeptBot, KeptChannel, Named,
    UpdateBotRequest,
};

wit_bindgen::generate!({ path: "../wit", world: "potok:plugins/telegram", generate_all });
potok_guest::describe!("../../wit/deps/telegram.wit", "../../wit/deps/host.wit");

struct Plugin;
export!(Plugin);

impl Guest for Plugin {
    fn post(request: PostRequest) -> Result<Posted, Fault> {
        bot::post(&request)
    }

    fn unknown_posts() -> Result<Vec<UnknownPost>, Fault> {
        bot::unknown_posts()
    }

    fn posts(request: PostsRequest) -> Result<PostsPage, Fault> {
        bot::posts(&request)
    }

    fn settle_post(request: SettleRequest) -> Result<Posted, Fault> {
        bot::settle_post(&request)
    }

    fn verify(request: VerifyRequest) -> Result<Verified, Fault> {
        bot::verify(&request)
    }

    fn add_bot(request: AddBotRequest) -> Result<AddedBot, Fault> {
        registry::add_bot(&request)
    }

    fn update_bot(request: UpdateBotRequest) -> Result<KeptBot, Fault> {
        registry::update_bot(&request)
    }

    fn remove_bot(request: Named) -> Result<Named, Fault> {
        registry::remove_bot(request)
    }

    fn bots() -> Result<Vec<KeptBot>, Fault> {
        registry::bots()
    }

    fn bot(request: Named) -> Result<KeptBot, Fault> {
        registry::bot(request)
    }

    fn add_channel(request: AddChannelRequest) -> Result<AddedChannel, Fault> {
        registry::add_channel(&request)
    }

    fn remove_channel(request: Named) -> Result<Named, Fault> {
        registry::remove_channel(request)
    }

    fn channels(request: ChannelsRequest) -> Result<Vec<KeptChannel>, Fault> {
        registry::channels(&request)
    }

    fn channel(request: Named) -> Result<KeptChannel, Fault> {
        registry::channel(request)
    }

    fn check_channel(request: Named) -> Result<KeptChannel, Fault> {
        registry::check_channel(request)
    }

    fn add_account(request: AddAccountRequest) -> Result<KeptAccount, Fault> {
        accounts::add_account(&request)
    }

    fn update_account(request: UpdateAccountRequest) -> Result<KeptAccount, Fault> {
        accounts::update_account(&request)
    }

    fn remove_account(request: AccountNamed) -> Result<AccountNamed, Fault> {
        accounts::remove_account(request)
    }

    fn accounts(request: AccountsRequest) -> Result<AccountsPage, Fault> {
        accounts::accounts(&request)
    }

    fn account(request: AccountNamed) -> Result<KeptAccount, Fault> {
        accounts::account(request)
    }

    fn request_code(request: AccountNamed) -> Result<KeptAccount, Fault> {
        accounts::request_code(request)
    }

    fn sign_in(request: SignInRequest) -> Result<SignInState, Fault> {
        accounts::sign_in(&request)
    }

    fn enter_password(request: EnterPasswordRequest) -> Result<KeptAccount, Fault> {
        accounts::enter_password(&request)
    }

    fn qr_code(request: AccountNamed) -> Result<SignInState, Fault> {
        accounts::qr_code(request)
    }

    fn check_account(request: AccountNamed) -> Result<KeptAccount, Fault> {
        accounts::check_account(request)
    }

    fn members(request: MembersRequest) -> Result<Vec<Member>, Fault> {
        accounts::members(&request)
    }

    fn add_proxy(request: AddProxyRequest) -> Result<KeptProxy, Fault> {
        accounts::add_proxy(&request)
    }

    fn update_proxy(request: UpdateProxyRequest) -> Result<KeptProxy, Fault> {
        accounts::update_proxy(&request)
    }

    fn remove_proxy(request: AccountNamed) -> Result<AccountNamed, Fault> {
        accounts::remove_proxy(request)
    }

    fn proxies(request: ProxiesRequest) -> Result<ProxiesPage, Fault> {
        accounts::proxies(request)
    }

    fn proxy(request: AccountNamed) -> Result<KeptProxy, Fault> {
        accounts::proxy(request)
    }

    fn check_proxy(request: AccountNamed) -> Result<KeptProxy, Fault> {
        accounts::check_proxy(request)
    }

    fn counts() -> Result<Statistics, Fault> {
        outreach::counts()
    }

    fn history(request: HistoryRequest) -> Result<Vec<HistoryStep>, Fault> {
        outreach::history(&request)
    }

    fn add_people(request: AddPeopleRequest) -> Result<PeopleAdded, Fault> {
        outreach::add_people(&request)
    }

    fn opt_out(request: OptOutRequest) -> Result<KeptPerson, Fault> {
        outreach::opt_out(&request)
    }

    fn people(request: PeopleRequest) -> Result<PeoplePage, Fault> {
        outreach::people(&request)
    }

    fn start_campaign(request: StartCampaignRequest) -> Result<KeptCampaign, Fault> {
        outreach::start_campaign(&request)
    }

    fn invite_next(request: CampaignNamed) -> Result<CampaignStep, Fault> {
        outreach::invite_next(request)
    }

    fn campaign(request: CampaignNamed) -> Result<KeptCampaign, Fault> {
        outreach::campaign(request)
    }

    fn campaigns(request: CampaignsRequest) -> Result<Vec<KeptCampaign>, Fault> {
        outreach::campaigns(request)
    }

    fn pause_campaign(request: CampaignNamed) -> Result<KeptCampaign, Fault> {
        outreach::pause_campaign(request)
    }

    fn resume_campaign(request: CampaignNamed) -> Result<KeptCampaign, Fault> {
        outreach::resume_campaign(request)
    }

    fn invites(request: InvitesRequest) -> Result<InvitesPage, Fault> {
        outreach::invites(&request)
    }
}
