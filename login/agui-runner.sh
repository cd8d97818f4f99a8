# /etc/profile reads this in every login shell of the image, before the shell looks for a profile in HOME. What is in
# the sandbox's home anybody in the sandbox may have written.
if [ "${HOME:-}" = /sandbox ]; then
  HOME=/etc/agui-runner/login
fi
