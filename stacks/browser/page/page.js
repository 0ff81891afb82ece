import init, { Login } from "./login_in_a_browser.js";

const find = document.getElementById("find");
const password = document.getElementById("password");
const page = document.getElementById("page");
const message = document.getElementById("message");
const forms = [find, password, page];
let login;

/** Shows the user what is due. */
function show() {
    find.hidden = login !== undefined && login.step !== "locate";
    password.hidden = !login?.takesPassword;
    page.hidden = !login?.pageHost;
    document.getElementById("host").textContent = login?.pageHost ?? "";
    message.textContent = login?.message ?? "";
}

/** Does something with the login, and goes on until the user is needed. No button works in the meantime. */
async function go(begin) {
    message.textContent = "One moment";
    const buttons = forms.map((form) => form.querySelector("button"));
    buttons.forEach((button) => (button.disabled = true));
    try {
        await begin();
        await login?.run();
        login?.leave();
        show();
    } catch (error) {
        show();
        message.textContent = error.message;
    } finally {
        buttons.forEach((button) => (button.disabled = false));
    }
}

find.addEventListener("submit", (event) => {
    event.preventDefault();
    go(() => (login = new Login(find.elements.homeserver.value)));
});

password.addEventListener("submit", (event) => {
    event.preventDefault();
    const { user, password: secret } = password.elements;
    go(() => login.choosePassword(user.value, secret.value));
    secret.value = "";
});

page.addEventListener("submit", (event) => {
    event.preventDefault();
    go(() => login.choosePage());
});

go(async () => {
    await init();
    login = Login.resumed();
});
